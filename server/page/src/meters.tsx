import { useEffect, useState } from "preact/hooks";
import type { Live } from "./live";
import type { Limit } from "./run";

const TICK = 100;
const number = new Intl.NumberFormat("en");

/** What is spent, against the budget: the one that was asked for, or the limit of the server's that ended the search. */
export function Meters({ live }: { live: Live }) {
  useTicks(live.going);
  const { run } = live;
  const purposes = run.trace?.tokens;
  const limit = (name: Limit) => live.request.reasoning_budget?.[name] ?? (run.trace?.cut === name ? run.trace.plan.budget[name] : undefined);
  return (
    <dl class="meters">
      <Meter name="Tokens" value={run.tokens} limit={limit("tokens")}>
        {purposes && `${number.format(purposes.answer)} in the answer, ${number.format(purposes.verifier)} to verify`}
      </Meter>
      <Meter name="Samples" value={purposes?.samples ?? run.nodes.size} limit={limit("samples")}>
        {purposes && `${number.format(purposes.calls)} calls to engines`}
      </Meter>
      <Meter name="Seconds" value={live.seconds} digits={1} limit={limit("seconds")}>
        {purposes && purposes.prompt > 0 && `${Math.round((100 * purposes.cached) / purposes.prompt)}% of prompts from cache`}
      </Meter>
    </dl>
  );
}

interface Props {
  name: string;
  value: number;
  limit?: number;
  digits?: number;
  children?: preact.ComponentChildren;
}

function Meter({ name, value, limit, digits = 0, children }: Props) {
  const share = limit ? Math.min(1, value / limit) : 0;
  const shown = digits ? value.toFixed(digits) : number.format(value);
  return (
    <div class="meter" data-full={share >= 0.95}>
      <dt>{name}</dt>
      <dd>
        <b>{shown}</b>
        <span> {limit === undefined ? "no limit" : `of ${number.format(limit)}`}</span>
        <span class="track" aria-hidden="true">
          <span style={{ transform: `scaleX(${share})` }} />
        </span>
        {children && <small>{children}</small>}
      </dd>
    </div>
  );
}

/** Show the caller anew every tick, while something goes on. */
function useTicks(going: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!going) return;
    const timer = setInterval(() => tick((count) => count + 1), TICK);
    return () => clearInterval(timer);
  }, [going]);
}
