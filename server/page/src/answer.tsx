import type { Live } from "./live";
import { leading, votes } from "./seen";
import { reading } from "./store";
import { Rendered, Short } from "./text";

const CUT = { tokens: "its tokens", samples: "its samples", seconds: "its time" };

/** The answer: the one that leads while the search goes on, then the one that was chosen. */
export function Answer({ live }: { live: Live }) {
  const { run } = live;
  const answer = leading(run);
  const going = live.going && !run.trace;
  if (live.phase.value === "failed" && !run.content) return null;
  return (
    <div class="answer" role="group" data-going={going} aria-label={going ? "Leading answer" : "Answer"}>
      <div class="headline">
        <span class="label">{going ? (answer === undefined ? "Thinking" : "In the lead") : "Answer"}</span>
        <span class="big">{answer === undefined ? <i>{going ? "…" : "—"}</i> : <Short answer={answer} />}</span>
        <Facts live={live} />
        {run.chosen && (
          <button class="quiet" onClick={() => (reading.value = { live, id: run.chosen! })}>
            Read it
          </button>
        )}
      </div>
    </div>
  );
}

/** The reply itself, as any client would get it. */
export function Said({ content }: { content: string }) {
  if (!content) return null;
  return (
    <div class="said" role="group" aria-label="Reply">
      <h3>Reply</h3>
      <Rendered text={content} />
    </div>
  );
}

function Facts({ live: { run } }: { live: Live }) {
  const all = votes(run);
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const share = run.trace?.choices[0]?.agreement ?? (total ? all[0]!.count / total : undefined);
  return (
    <span class="facts">
      {share !== undefined && share !== null && <span>{Math.round(share * 100)}% agree</span>}
      {run.trace?.cut && <span class="warn">the budget ended it: {CUT[run.trace.cut]}</span>}
      {run.lost > 0 && <span class="warn">{run.lost} lost</span>}
      {run.trace?.degraded.map((text) => (
        <span key={text} class="warn">
          {text}
        </span>
      ))}
    </span>
  );
}
