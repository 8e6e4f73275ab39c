import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { layout, link, type Layout, type Placed } from "./layout";
import type { Live } from "./live";
import { useMotion } from "./motion";
import { plain } from "./plain";
import type { Node } from "./run";
import { path, rank } from "./seen";
import { reading } from "./store";
import { Short } from "./text";
import { described } from "./words";

/** Nodes beyond which nothing moves by itself any more: every frame would paint them all. */
const MANY = 120;
/** Characters of a step that a look at it shows. */
const GLIMPSE = 220;

/** The search as a tree: it grows downwards, a step a level. */
export function Tree({ live }: { live: Live }) {
  live.frame.value;
  const { run } = live;
  const box = useRef<HTMLDivElement>(null);
  const room = useWidth(box);
  const drawn = useMemo(() => layout(run, room), [run, run.shape, room]);
  const many = drawn.placed.size > MANY;
  const moved = useMotion(drawn, many);
  const [looked, look] = useState<string>();
  useFollow(box, drawn.height, live.going);
  const lit = new Set(path(run, run.chosen));
  const some = lit.size > 0;
  const stop = looked ?? [...drawn.placed.keys()][0];
  return (
    <div class="tree" ref={box} data-lit={some} data-many={many} onKeyDown={(event) => walk(event, drawn)}>
      <svg width={drawn.width} height={drawn.height} role="group" aria-label="Search tree">
        <g class="links">
          {[...moved.placed.values()].map((one) => (
            <Link key={one.node.id} d={link(moved, one)} pruned={one.node.pruned} lit={lit.has(one.node.id)} />
          ))}
        </g>
        <circle class="root" cx={moved.root.x} cy={moved.root.y} r={drawn.radius + 1} />
        {[...moved.placed.values()].map(({ node, x, y }) => (
          <Spot
            key={node.id}
            live={live}
            node={node}
            x={x}
            y={y}
            radius={drawn.radius}
            roomy={drawn.roomy}
            state={node.state}
            score={node.score}
            rank={node.score === undefined ? -1 : rank(run, node.score)}
            pruned={node.pruned}
            lit={lit.has(node.id)}
            chosen={node.id === run.chosen}
            stop={node.id === stop}
            look={look}
          />
        ))}
      </svg>
      {looked && drawn.placed.has(looked) && <Glimpse at={drawn.placed.get(looked)!} width={drawn.width} />}
      {!drawn.placed.size && <p class="waiting">{live.going ? "Waiting for the first step…" : "Nothing has grown."}</p>}
    </div>
  );
}

const Link = memo(({ d, pruned, lit }: { d: string; pruned: boolean; lit: boolean }) => (
  <path d={d} data-pruned={pruned} data-lit={lit} />
));

interface SpotProps {
  live: Live;
  node: Node;
  x: number;
  y: number;
  radius: number;
  roomy: boolean;
  state: string;
  score?: number;
  rank: number;
  pruned: boolean;
  lit: boolean;
  chosen: boolean;
  stop: boolean;
  look: (id?: string) => void;
}

const Spot = memo(({ live, node, x, y, radius, roomy, state, score, rank, pruned, lit, chosen, stop, look }: SpotProps) => (
  <g
    class="spot"
    transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}
    style={{ "--rank": rank }}
    role="button"
    tabIndex={stop ? 0 : -1}
    aria-label={described(node, chosen)}
    data-id={node.id}
    data-state={state}
    data-scored={score !== undefined}
    data-pruned={pruned}
    data-lit={lit}
    data-chosen={chosen}
    onClick={() => (reading.value = { live, id: node.id })}
    onKeyDown={(event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault(); // or the key would go on to what gets the focus
      reading.value = { live, id: node.id };
    }}
    onFocus={() => look(node.id)}
    onMouseEnter={() => look(node.id)}
    onMouseLeave={() => look(undefined)}
  >
    {state === "stop" && <circle class="ring" r={radius + 3} />}
    <circle class="dot" r={pruned ? radius * 0.7 : radius} />
    {state === "lost" && <path class="cross" d={`M${-radius},${-radius}L${radius},${radius}M${radius},${-radius}L${-radius},${radius}`} />}
    {!pruned && score !== undefined && (lit || roomy || node.children.length > 0) && (
      <text y={radius + 14} aria-hidden="true">
        {score.toFixed(2)}
      </text>
    )}
  </g>
));

/** A look at one step, beside it. */
function Glimpse({ at: { node, x, y }, width }: { at: Placed; width: number }) {
  const text = node.error ?? plain(node.text.trim());
  return (
    <div class="glimpse" data-side={x > width / 2 ? "left" : "right"} style={{ left: `${x}px`, top: `${y}px` }} aria-hidden="true">
      <header>
        <b>{node.id.slice(2)}</b>
        {node.score !== undefined && <span>score {node.score.toFixed(2)}</span>}
        <span>{node.tokens} tokens</span>
        {node.pruned && <span class="warn">pruned</span>}
      </header>
      <p>{text.length > GLIMPSE ? `${text.slice(0, GLIMPSE)}…` : text}</p>
      {node.answer !== undefined && (
        <footer>
          answer <Short answer={node.answer} />
        </footer>
      )}
    </div>
  );
}

/** Arrow keys go to parents, children and neighbours; Enter reads. */
function walk(event: KeyboardEvent, drawn: Layout): void {
  const id = (event.target as Element).closest<SVGElement>(".spot")?.dataset.id;
  const here = id !== undefined && drawn.placed.get(id);
  if (!here || !event.key.startsWith("Arrow")) return;
  event.preventDefault();
  const level = [...drawn.placed.values()].filter(({ y }) => y === here.y).sort((a, b) => a.x - b.x);
  const at = level.indexOf(here);
  const heirs = here.node.children.map((child) => drawn.placed.get(child)!.node);
  const to = {
    ArrowUp: here.node.parent,
    ArrowDown: (heirs.find((child) => child.children.length) ?? heirs[0])?.id,
    ArrowLeft: level[at - 1]?.node.id,
    ArrowRight: level[at + 1]?.node.id,
  }[event.key];
  const box = event.currentTarget as HTMLElement;
  box.querySelector<SVGElement>(`.spot[data-id="${to}"]`)?.focus();
}

function useWidth(box: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(800);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** Keep the newest level in sight while the tree grows. */
function useFollow(box: { current: HTMLElement | null }, height: number, going: boolean): void {
  useEffect(() => {
    if (going) box.current?.scrollTo({ top: height, behavior: "smooth" });
  }, [height, going]);
}
