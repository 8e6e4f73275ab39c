/** Layouts that move by one clock, so that links stay at their nodes all the way. */

import { useEffect, useRef, useState } from "preact/hooks";
import { between, type Layout } from "./layout";

/** Milliseconds that a tree takes to its next shape. */
const MOVE = 420;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Fast at first, then slower and slower. */
const ease = (time: number) => (time >= 1 ? 1 : 1 - (1 - time) ** 3);

/** Where the layout is by now on its way to `target`; with `jump`, there. */
export function useMotion(target: Layout, jump: boolean): Layout {
  const [, again] = useState(0);
  const { current: way } = useRef({ from: target, target, begun: 0 });
  const now = performance.now();
  const share = () => (jump || still.matches ? 1 : ease((now - way.begun) / MOVE));
  if (way.target !== target)
    Object.assign(way, { from: between(way.from, way.target, share()), target, begun: now });
  const shown = between(way.from, target, share());
  useEffect(() => {
    if (shown === target) return;
    const frame = requestAnimationFrame(again);
    return () => cancelAnimationFrame(frame);
  }, [shown]);
  return shown;
}
