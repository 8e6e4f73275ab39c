/** Where the nodes of a search tree stand. */

import { hierarchy, tree } from "d3-hierarchy";
import type { Node, Run } from "./run";

export interface Placed {
  node: Node;
  x: number;
  y: number;
}

export interface Layout {
  placed: Map<string, Placed>;
  root: { x: number; y: number };
  links: { id: string; from: string; d: string }[];
  width: number;
  height: number;
  radius: number;
  /** Whether there is room for a score below every node. */
  roomy: boolean;
}

const LEVEL = 88;
const MARGIN = 30;
/** Below the last level there is room for its scores. */
const LABEL = 8;
const CLOSEST = 9;
const WIDEST = 64;
const SCORE = 28;
/** A pruned leaf needs less room than one that may go on. */
const SLIM = 0.62;
const FULL = 1;

interface Item {
  id: string;
  node?: Node;
}

/** A tidy tree (Buchheim, Jünger & Leipert 2002) from the top down, as wide as there is room, or wider. */
export function layout(run: Run, room: number): Layout {
  const top: Item = { id: "" };
  const items = (ids: string[]): Item[] => ids.map((id) => ({ id, node: run.nodes.get(id)! }));
  const data = hierarchy(top, (item) => items(item.node ? item.node.children : run.roots));
  const size = (item: Item) => (item.node && !item.node.children.length && item.node.pruned ? SLIM : FULL);
  const placed = tree<Item>()
    .nodeSize([1, LEVEL])
    .separation((a, b) => ((size(a.data) + size(b.data)) / 2) * (a.parent === b.parent ? 1 : 1.6))(data);
  let [left, right, depth] = [0, 0, 0];
  placed.each(({ x, y }) => ([left, right, depth] = [Math.min(left, x), Math.max(right, x), Math.max(depth, y)]));
  const unit = Math.min(WIDEST, Math.max(CLOSEST, (room - 2 * MARGIN) / Math.max(1, right - left)));
  const width = Math.max(room, (right - left) * unit + 2 * MARGIN);
  const shift = (width - (right + left) * unit) / 2;
  const at = (point: { x: number; y: number }) => ({ x: point.x * unit + shift, y: point.y + MARGIN });
  const result: Layout = {
    placed: new Map(),
    root: at(placed),
    links: [],
    width,
    height: depth + 2 * MARGIN + LABEL,
    roomy: unit >= SCORE,
    radius: Math.min(8, Math.max(3.2, unit * SLIM * 0.36)),
  };
  placed.each((point) => {
    const { id, node } = point.data;
    if (!node) return;
    result.placed.set(id, { node, ...at(point) });
    result.links.push({ id, from: point.parent!.data.id, d: curve(at(point.parent!), at(point)) });
  });
  return result;
}

function curve(from: { x: number; y: number }, to: { x: number; y: number }): string {
  const middle = (from.y + to.y) / 2;
  return `M${from.x.toFixed(1)},${from.y}C${from.x.toFixed(1)},${middle} ${to.x.toFixed(1)},${middle} ${to.x.toFixed(1)},${to.y}`;
}
