import { Icon } from "./icons";

interface Props {
  value: string;
  options: string[];
  none?: string;
  id?: string;
  onChange: (value: string) => void;
}

/** A choice of names. `none` is what stands for no choice. */
export function Select(props: Props) {
  return (
    <span class="select">
      <select id={props.id} value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        {props.none !== undefined && <option value="">{props.none}</option>}
        {props.options.map((name) => (
          <option key={name} value={name} selected={name === props.value}>
            {name}
          </option>
        ))}
      </select>
      <Icon name="down" />
    </span>
  );
}
