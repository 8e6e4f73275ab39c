import type { Limit } from "./run";
import { change, form } from "./store";

const BUDGET: [Limit, string, number][] = [
  ["tokens", "Tokens", 1],
  ["samples", "Samples", 1],
  ["seconds", "Seconds", 0.1],
];

/** What the question may cost. */
export function Budget() {
  const { budget, maxTokens } = form.value;
  const put = (limit: Limit, value: string) => {
    const { [limit]: _, ...others } = budget;
    change({ budget: value ? { ...others, [limit]: Number(value) } : others });
  };
  return (
    <fieldset class="budget">
      <legend>Budget</legend>
      {BUDGET.map(([limit, name, least]) => (
        <label key={limit} class="field">
          <span>{name}</span>
          <input
            type="number"
            min={least}
            step={limit === "seconds" ? "any" : 1}
            placeholder="no limit"
            value={budget[limit] ?? ""}
            onInput={(event) => put(limit, event.currentTarget.value)}
          />
        </label>
      ))}
      <label class="field">
        <span>Tokens of one path</span>
        <input
          type="number"
          min={1}
          placeholder="no limit"
          value={maxTokens ?? ""}
          onInput={(event) => change({ maxTokens: Number(event.currentTarget.value) || undefined })}
        />
      </label>
    </fieldset>
  );
}
