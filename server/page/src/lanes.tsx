import { memo } from "preact/compat";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Live } from "./live";
import { plain } from "./plain";
import type { Node } from "./run";
import { path, rank } from "./seen";
import { reading } from "./store";
import { Short } from "./text";
import { described } from "./words";

/** Lines of text in a lane, by how many lanes there are at most. */
const LINES: [number, number][] = [
  [6, 4],
  [16, 2],
  [Infinity, 1],
];
/** Pixels of a line of text, and of a lane beside its text. */
const [LINE, AROUND] = [18, 18];
/** Characters of a lane's text that are shown: its last ones. */
const TAIL = 480;
/** Lanes above and below those in sight that are there all the same. */
const SPARE = 6;

/** Samples as lanes that fill. Only those in sight are elements, so there may be hundreds. */
export function Lanes({ live }: { live: Live }) {
  live.frame.value;
  const { run } = live;
  const ids = [...run.nodes.keys()];
  const lines = LINES.find(([most]) => ids.length <= most)![1];
  const height = lines * LINE + AROUND;
  const box = useRef<HTMLUListElement>(null);
  const [[first, last], see] = useState([0, 40]);
  const look = () => {
    const { scrollTop, clientHeight } = box.current!;
    const from = Math.max(0, Math.floor(scrollTop / height) - SPARE);
    const to = Math.ceil((scrollTop + clientHeight) / height) + SPARE;
    if (from !== first || to !== last) see([from, to]);
  };
  useLayoutEffect(look, [ids.length, height]);
  const lit = new Set(path(run, run.chosen));
  return (
    <ul class="lanes" ref={box} data-lines={lines} onScroll={look} onKeyDown={(event) => walk(event, box.current!, height)} style={{ "--lane": `${height}px`, "--text": `${lines * LINE}px` }} aria-label="Samples" tabIndex={-1}>
      <li aria-hidden="true" style={{ height: `${Math.min(first, ids.length) * height}px` }} />
      {ids.slice(first, last).map((id, at) => {
        const node = run.nodes.get(id)!;
        return (
          <Lane
            key={id}
            live={live}
            node={node}
            changes={node.changes}
            place={first + at}
            count={ids.length}
            lit={lit.has(id)}
            chosen={id === run.chosen}
            rank={node.score === undefined ? -1 : rank(run, node.score)}
          />
        );
      })}
      <li aria-hidden="true" style={{ height: `${Math.max(0, ids.length - last) * height}px` }} />
    </ul>
  );
}

interface LaneProps {
  live: Live;
  node: Node;
  changes: number;
  place: number;
  count: number;
  lit: boolean;
  chosen: boolean;
  rank: number;
}

const Lane = memo(({ live, node, place, count, lit, chosen, rank }: LaneProps) => (
  <li aria-setsize={count} aria-posinset={place + 1}>
    <button
      class="lane"
      data-place={place}
      data-id={node.id}
      data-state={node.state}
      data-pruned={node.pruned}
      data-lit={lit}
      data-chosen={chosen}
      tabIndex={place === 0 ? 0 : -1}
      onClick={() => (reading.value = { live, id: node.id })}
    >
      <span class="unseen">{described(node, chosen)}</span>
      <span class="id" aria-hidden="true">{node.id.slice(2)}</span>
      <span class="text" aria-hidden="true">
        <span>{node.error ?? plain(tail(node.text))}</span>
      </span>
      <span class="verdict" aria-hidden="true">
        {node.answer !== undefined && <Short answer={node.answer} />}
        {node.score !== undefined && (
          <span class="score" style={{ "--rank": rank }}>
            {node.score.toFixed(2)}
          </span>
        )}
      </span>
      <span class="tokens" aria-hidden="true">{node.tokens}</span>
    </button>
  </li>
));

function tail(text: string): string {
  return text.length > TAIL ? `…${text.slice(-TAIL)}` : text;
}

/** Arrow keys go from lane to lane. */
function walk(event: KeyboardEvent, box: HTMLElement, height: number): void {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
  const from = (event.target as HTMLElement).dataset.place;
  if (!by || from === undefined) return;
  event.preventDefault();
  const to = Math.max(0, Number(from) + by);
  const top = to * height;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
  requestAnimationFrame(() => box.querySelector<HTMLElement>(`[data-place="${to}"]`)?.focus());
}

