import { useState } from "preact/hooks";
import { Answer, Said } from "./answer";
import { Failure } from "./failure";
import { Lanes } from "./lanes";
import type { Live, Phase } from "./live";
import { Meters } from "./meters";
import { Tree } from "./tree";
import { Votes } from "./votes";

const SAYS: Record<Phase, string> = {
  running: "searching",
  replaying: "replaying",
  done: "done",
  stopped: "stopped",
  failed: "failed",
};

/** One search, live or over. */
export function Search({ live }: { live: Live }) {
  live.frame.value;
  const { run } = live;
  const grows = live.stepwise || [...run.nodes.values()].some((node) => node.depth > 0);
  const [view, choose] = useState<"tree" | "samples">();
  const shown = view ?? (grows ? "tree" : "samples");
  return (
    <article class="search" aria-label={`Search by ${live.strategy}`} data-phase={live.phase.value}>
      <header>
        <h2>{live.strategy}</h2>
        <span class="phase" role="status">
          {SAYS[live.phase.value]}
        </span>
        <Views shown={shown} choose={choose} />
      </header>
      {live.refusal && <Failure refusal={live.refusal} />}
      <Answer live={live} />
      <Meters live={live} />
      {!live.stepwise && <Votes run={run} going={live.going} />}
      {shown === "tree" ? <Tree live={live} /> : <Lanes live={live} />}
      {live.stepwise && <Votes run={run} going={live.going} />}
      <Said content={run.content} />
      <Notes live={live} />
    </article>
  );
}

function Views({ shown, choose }: { shown: string; choose: (view: "tree" | "samples") => void }) {
  return (
    <span class="views" role="group" aria-label="View">
      {(["tree", "samples"] as const).map((view) => (
        <button key={view} aria-pressed={shown === view} onClick={() => choose(view)}>
          {view === "tree" ? "Tree" : "Samples"}
        </button>
      ))}
    </span>
  );
}

/** What the strategy said of its search; the newest first. */
function Notes({ live }: { live: Live }) {
  const { notes } = live.run;
  if (!notes.length) return null;
  return (
    <details class="notes" open>
      <summary>
        Notes <small>{notes.length}</small>
      </summary>
      <ol reversed tabIndex={0} aria-label="Notes">
        {notes
          .map((note, index) => (
            <li key={index} data-kind={note.kind}>
              {note.text}
            </li>
          ))
          .reverse()}
      </ol>
    </details>
  );
}
