import type { Run } from "./run";
import { leading, votes } from "./seen";
import { Short } from "./text";

/** Answers with a colour of their own; what comes after them shares one. */
const COLOURS = 6;
const SHOWN = 6;

/** The votes: one bar that settles, and the answers behind it. */
export function Votes({ run, going }: { run: Run; going: boolean }) {
  const all = votes(run);
  if (!all.length) return null;
  const first = leading(run);
  const open = going && !run.trace ? [...run.nodes.values()].filter((node) => node.state === "growing").length : 0;
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const colour = colours(run);
  return (
    <div class="votes" role="group" aria-label="Votes">
      <h3>
        Votes <small>{total}</small>
      </h3>
      <div class="bar-of-votes" aria-hidden="true">
        {all.map(({ answer, count }) => (
          <span key={answer} data-colour={answer === first ? "first" : colour.get(answer)} style={{ flexGrow: count }} />
        ))}
        <span key="open" data-colour="open" style={{ flexGrow: open }} />
      </div>
      <ul>
        {all.slice(0, SHOWN).map(({ answer, count }) => (
          <li key={answer} data-first={answer === first}>
            <i data-colour={answer === first ? "first" : colour.get(answer)} />
            <Short answer={answer} />
            <b>{count}</b>
          </li>
        ))}
        {all.length > SHOWN && <li>and {all.length - SHOWN} more</li>}
      </ul>
    </div>
  );
}

/** A colour for each answer, by when it was first given, so that it keeps it. */
function colours(run: Run): Map<string, number> {
  const found = new Map<string, number>();
  for (const { answer } of run.nodes.values())
    if (answer !== undefined && !found.has(answer)) found.set(answer, found.size % COLOURS);
  return found;
}
