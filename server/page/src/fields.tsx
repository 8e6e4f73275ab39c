import type { Schema } from "./api";
import { Select } from "./select";
import type { Values } from "./store";

interface Props {
  schema: Schema;
  values: Values;
  without: string[];
  onChange: (values: Values) => void;
}

/** A form for settings that a JSON schema describes. What is left empty is left to the server. */
export function Fields({ schema, values, without, onChange }: Props) {
  const put = (name: string, value: unknown) => {
    const { [name]: _, ...others } = values;
    onChange(value === undefined ? others : { ...others, [name]: value });
  };
  return (
    <div class="fields">
      {Object.entries(schema.properties ?? {})
        .filter(([name]) => !without.includes(name))
        .map(([name, property]) => (
          <label key={name} class="field" title={property.description}>
            <span>
              {name.replaceAll("_", " ")}
              {schema.required?.includes(name) && <em> required</em>}
            </span>
            <Field schema={property} value={values[name]} onChange={(value) => put(name, value)} />
          </label>
        ))}
    </div>
  );
}

type FieldProps = { schema: Schema; value: unknown; onChange: (value: unknown) => void };

function Field({ schema, value, onChange }: FieldProps) {
  const kinds = [schema, ...(schema.anyOf ?? [])];
  const choices = kinds.find((kind) => kind.enum)?.enum;
  if (choices) return <Choice choices={choices} schema={schema} value={value} onChange={onChange} />;
  const number = kinds.find(({ type }) => type === "integer" || type === "number");
  if (number) return <NumberField schema={{ ...number, default: schema.default }} value={value} onChange={onChange} />;
  if (schema.type === "boolean") return <Choice choices={[true, false]} schema={schema} value={value} onChange={onChange} />;
  return <TextField plain={kinds.some(({ type }) => type === "string")} schema={schema} value={value} onChange={onChange} />;
}

function Choice({ choices, schema, value, onChange }: FieldProps & { choices: unknown[] }) {
  const none = schema.default === undefined ? "as it comes" : `${schema.default} (default)`;
  return (
    <Select
      value={value === undefined ? "" : String(value)}
      options={choices.map(String)}
      none={none}
      onChange={(name) => onChange(choices.find((choice) => String(choice) === name))}
    />
  );
}

function NumberField({ schema, value, onChange }: FieldProps) {
  return (
    <input
      type="number"
      step={schema.type === "integer" ? 1 : "any"}
      min={schema.minimum}
      max={schema.maximum}
      placeholder={schema.default === null || schema.default === undefined ? "none" : String(schema.default)}
      value={(value as number) ?? ""}
      onInput={({ currentTarget: { value } }) => onChange(value === "" ? undefined : Number(value))}
    />
  );
}

/** A text, with \n for a line's end; or JSON, where the schema wants something with parts. */
function TextField({ schema, value, onChange, plain }: FieldProps & { plain: boolean }) {
  const shown = (of: unknown) => (typeof of === "string" ? of.replaceAll("\n", "\\n") : JSON.stringify(of));
  const read = (text: string) => {
    if (text === "") return undefined;
    try {
      return plain && !text.startsWith("{") ? text.replaceAll("\\n", "\n") : JSON.parse(text);
    } catch {
      return text;
    }
  };
  return (
    <input
      spellcheck={false}
      placeholder={schema.default === undefined || schema.default === null ? (plain ? "" : "JSON") : shown(schema.default)}
      defaultValue={value === undefined ? "" : shown(value)}
      onChange={(event) => onChange(read(event.currentTarget.value))}
    />
  );
}
