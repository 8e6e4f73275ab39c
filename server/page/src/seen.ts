/** What follows from a run, for those who show it. */

import type { Node, Run } from "./run";

/** Ids from a node up to the root of its tree, the node first. */
export function path(run: Run, id: string | undefined): string[] {
  const ids: string[] = [];
  for (let node = id && run.nodes.get(id); node; node = run.nodes.get(node.parent)) ids.push(node.id);
  return ids;
}

export interface Vote {
  answer: string;
  count: number;
}

/** Votes by answer, most first: the server's own count in the end, until then one for each leaf with an answer. */
export function votes(run: Run): Vote[] {
  const counts = new Map<string, number>(Object.entries(run.trace?.choices[0]?.votes ?? {}));
  if (!run.trace)
    for (const node of run.nodes.values()) {
      if (node.answer === undefined || node.pruned || node.children.length) continue;
      const answer = run.equal[node.answer] ?? node.answer;
      counts.set(answer, (counts.get(answer) ?? 0) + 1);
    }
  return [...counts].map(([answer, count]) => ({ answer, count })).sort((a, b) => b.count - a.count);
}

/** The answer that wins, or leads. */
export function leading(run: Run): string | undefined {
  const choice = run.trace?.choices[0];
  return choice ? (choice.answer ?? undefined) : votes(run)[0]?.answer;
}

/** All of a path's text: as the server told it, else what its steps wrote (`steps`: each goes on with its parent). */
export function whole(run: Run, node: Node, steps: boolean): string {
  if (node.whole !== undefined) return node.whole;
  if (!steps) return node.text;
  return path(run, node.id)
    .reverse()
    .map((id) => run.nodes.get(id)!.text)
    .join("");
}

/** How good a score is among all of the run's, from 0 to 1. */
export function rank({ scores: [low, high] }: Run, score: number): number {
  return high > low ? (score - low) / (high - low) : 1;
}
