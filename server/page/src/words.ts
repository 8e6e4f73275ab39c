/** Candidates in words. */

import type { Node } from "./run";

export const STATES = {
  growing: "growing",
  step: "a step",
  stop: "finished",
  length: "out of tokens",
  cut: "cut off",
  lost: "lost",
};

/** A candidate in words. */
export function described(node: Node, chosen: boolean): string {
  const parts = [`Candidate ${node.id.slice(2)}`, STATES[node.state]];
  if (node.answer !== undefined) parts.push(`answer ${node.answer}`);
  if (node.score !== undefined) parts.push(`score ${node.score.toFixed(2)}`);
  if (node.pruned) parts.push("pruned");
  if (chosen) parts.push("chosen");
  return parts.join(", ");
}
