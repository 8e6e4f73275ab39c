/** A run: what is known of one search. `fold` takes in one event of its stream; nothing here touches the page. */

export interface TraceEvent {
  event: "started" | "opened" | "token" | "closed" | "lost" | "scored" | "judging" | "judged" | "pruned" | "note" | "answered";
  id: string;
  parent?: string;
  strategy?: string;
  text?: string;
  error?: string;
  cause?: string;
  answer?: string;
  score?: number;
  tokens?: number;
  finish?: Finish;
  ids?: string[];
  facts?: Record<string, unknown>;
  chosen?: string;
}

export type Finish = "step" | "stop" | "length" | "cut";
export type Limit = "tokens" | "samples" | "seconds";

/** The `ponder` object at the end of a stream: those parts of it that the page shows. */
export interface Trace {
  plan: {
    model: string;
    strategy: Record<string, unknown>;
    verifier: Record<string, unknown> | null;
    budget: Record<Limit, number>;
  };
  choices: { chosen: string; answer: string | null; agreement: number | null; votes: Record<string, number> }[];
  candidates: { id: string; text: string; answer: string | null; score: number | null; pruned: boolean }[];
  tokens: Record<"answer" | "reasoning" | "verifier" | "samples" | "calls" | "prompt" | "cached", number>;
  degraded: string[];
  cut: Limit | null;
  seconds: number;
}

export type State = "growing" | "lost" | Finish;

/** One sequence. `text` is what it wrote itself; `whole`, known in the end, is all of its path. */
export interface Node {
  id: string;
  parent: string;
  depth: number;
  children: string[];
  state: State;
  text: string;
  whole?: string;
  tokens: number;
  answer?: string;
  score?: number;
  pruned: boolean;
  why?: string;
  error?: string;
  /** Counts changes, so that what shows a node knows when to show it anew. */
  changes: number;
}

export interface Note {
  text: string;
  ids: string[];
  kind: "note" | "pruned" | "lost";
}

export interface Run {
  strategy: string;
  nodes: Map<string, Node>;
  roots: string[];
  notes: Note[];
  /** All tokens that are known of. */
  tokens: number;
  lost: number;
  /** Answers that a strategy found equal to others. */
  equal: Record<string, string>;
  chosen?: string;
  content: string;
  trace?: Trace;
  /** Lowest and highest score so far. */
  scores: [number, number];
  /** Counts changes of the tree's shape: nodes that came, or went. */
  shape: number;
}

export function fresh(): Run {
  return {
    strategy: "",
    nodes: new Map(),
    roots: [],
    notes: [],
    tokens: 0,
    lost: 0,
    equal: {},
    content: "",
    scores: [Infinity, -Infinity],
    shape: 0,
  };
}

/** What came of a chunk of the stream: text of the answer, an event, the trace. */
export interface Told {
  content?: string;
  event?: TraceEvent;
  trace?: Trace;
}

/** Take in one thing that was told. Events of a sequence that is unknown open it; kinds that are unknown change nothing. */
export function fold(run: Run, told: Told): void {
  if (told.content) run.content += told.content;
  if (told.event) happened(run, told.event);
  if (told.trace) ended(run, told.trace);
}

function happened(run: Run, event: TraceEvent): void {
  switch (event.event) {
    case "started":
      run.strategy ||= event.strategy ?? "";
      return;
    case "note":
    case "pruned":
      noted(run, event);
      return;
    case "judging":
    case "judged":
      return; // what a verifier says is told as "scored"
    case "answered":
      run.chosen = event.chosen;
      run.tokens = Math.max(run.tokens, event.tokens ?? 0);
      run.shape++;
      return;
    case "opened":
    case "token":
    case "closed":
    case "lost":
    case "scored":
      grown(run, event);
  }
}

function grown(run: Run, event: TraceEvent): void {
  const node = run.nodes.get(event.id) ?? opened(run, event);
  node.changes++;
  switch (event.event) {
    case "token":
      node.text += event.text ?? "";
      node.tokens += event.tokens ?? 0;
      run.tokens += event.tokens ?? 0;
      return;
    case "closed":
      node.state = event.finish ?? "stop";
      node.answer = event.answer;
      run.tokens += Math.max(0, (event.tokens ?? 0) - node.tokens);
      node.tokens = Math.max(node.tokens, event.tokens ?? 0);
      return;
    case "lost":
      node.state = "lost";
      node.error = event.error;
      run.lost++;
      run.shape++;
      run.notes.push({ kind: "lost", text: `${node.id} is lost: ${event.error ?? event.cause ?? ""}`, ids: [node.id] });
      return;
    case "scored":
      scored(run, node, event.score);
  }
}

function opened(run: Run, event: TraceEvent): Node {
  const parent = event.parent ?? event.id.slice(0, event.id.lastIndexOf("."));
  const over = run.nodes.get(parent);
  const node: Node = {
    id: event.id,
    parent,
    depth: over ? over.depth + 1 : 0,
    children: [],
    state: "growing",
    text: "",
    tokens: 0,
    pruned: false,
    changes: 0,
  };
  run.nodes.set(node.id, node);
  (over?.children ?? run.roots).push(node.id);
  run.shape++;
  return node;
}

function scored(run: Run, node: Node, score: number | null | undefined): void {
  if (score === undefined || score === null) return;
  node.score = score;
  run.scores = [Math.min(run.scores[0], score), Math.max(run.scores[1], score)];
}

function noted(run: Run, event: TraceEvent): void {
  const ids = event.ids ?? [];
  run.notes.push({ kind: event.event === "pruned" ? "pruned" : "note", text: event.text ?? "", ids });
  Object.assign(run.equal, event.facts?.equal);
  if (event.event !== "pruned") return;
  run.shape++;
  for (const id of ids) {
    const node = run.nodes.get(id);
    if (node) Object.assign(node, { pruned: true, why: event.text, changes: node.changes + 1 });
  }
}

function ended(run: Run, trace: Trace): void {
  run.trace = trace;
  run.chosen ??= trace.choices[0]?.chosen;
  run.shape++;
  for (const told of trace.candidates) {
    const node = run.nodes.get(told.id);
    if (!node) continue;
    Object.assign(node, { whole: told.text, pruned: told.pruned, answer: told.answer ?? undefined });
    scored(run, node, told.score);
    node.changes++;
  }
}
