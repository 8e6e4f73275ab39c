/** Where the nodes of a search tree stand. */

import { hierarchy, tree } from "d3-hierarchy";
import type { Node, Run } from "./run";

interface Point {
  x: number;
  y: number;
}

export interface Placed extends Point {
  node: Node;
}

export interface Layout {
  placed: Map<string, Placed>;
  root: Point;
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
  const at = (point: Point) => ({ x: point.x * unit + shift, y: point.y + MARGIN });
  const result: Layout = {
    placed: new Map(),
    root: at(placed),
    width,
    height: depth + 2 * MARGIN + LABEL,
    roomy: unit >= SCORE,
    radius: Math.min(8, Math.max(3.2, unit * SLIM * 0.36)),
  };
  placed.each((point) => {
    const { id, node } = point.data;
    if (!node) return;
    result.placed.set(id, { node, ...at(point) });
  });
  return result;
}

/** The way from a node's parent to the node, as an SVG path. */
export function link({ placed, root }: Layout, { node, x, y }: Placed): string {
  const from = placed.get(node.parent) ?? root;
  const middle = ((from.y + y) / 2).toFixed(1);
  const [x0, y0, x1, y1] = [from.x, from.y, x, y].map((value) => value.toFixed(1));
  return `M${x0},${y0}C${x0},${middle} ${x1},${middle} ${x1},${y1}`;
}

/** A layout on its way to the next: nodes that are there move, new ones grow out of their parents. */
export function between(from: Layout, to: Layout, share: number): Layout {
  if (share >= 1) return to;
  const move = (a: Point, b: Point) => ({ x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share });
  const placed = new Map<string, Placed>();
  for (const [id, there] of to.placed) {
    const { node } = there;
    const here = from.placed.get(id) ?? from.placed.get(node.parent) ?? (node.depth ? there : from.root);
    placed.set(id, { node, ...move(here, there) });
  }
  return { ...to, placed, root: move(from.root, to.root) };
}
