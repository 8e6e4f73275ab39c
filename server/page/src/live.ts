/** A run while it comes about: what was asked, what has been told, when. Events are taken in once a frame. */

import { signal } from "@preact/signals";
import { chat, Refusal } from "./api";
import { fold, fresh, type Limit, type Told } from "./run";

export type Phase = "running" | "replaying" | "done" | "stopped" | "failed";

export interface Request {
  model: string;
  messages: { role: string; content: string }[];
  reasoning_strategy: { name: string } & Record<string, unknown>;
  reasoning_budget?: Partial<Record<Limit, number>>;
  max_tokens?: number;
}

/** What was told, and how many milliseconds after the question. */
export type Recorded = [number, Told];

/** Frames stand still in a tab that nobody sees; events are then taken in so often, in milliseconds. */
const UNSEEN = 250;

export class Live {
  readonly run = fresh();
  /** Counts frames: who reads it is shown anew with each. */
  readonly frame = signal(0);
  readonly phase = signal<Phase>("running");
  readonly begun = performance.now();
  readonly records: Recorded[] = [];
  refusal?: Refusal;
  #seconds = 0;
  #waiting: Told[] = [];
  #aborted = new AbortController();

  /** `stepwise`: its paths grow step by step, as a tree. */
  constructor(
    readonly request: Request,
    readonly stepwise: boolean,
  ) {}

  get strategy(): string {
    return this.request.reasoning_strategy.name;
  }

  get going(): boolean {
    return this.phase.value === "running" || this.phase.value === "replaying";
  }

  get seconds(): number {
    return this.going ? (performance.now() - this.begun) / 1000 : this.#seconds;
  }

  async ask(): Promise<void> {
    const body = { ...this.request, reasoning_format: "none", return_trace: true, stream: true };
    try {
      await chat(body, this.#aborted.signal, (told) => this.#tell(told));
      this.#end("done");
    } catch (error) {
      if (this.#aborted.signal.aborted) return this.#end("stopped");
      this.refusal = error instanceof Refusal ? error : new Refusal(0, String(error));
      this.#end("failed");
    }
  }

  stop(): void {
    this.#aborted.abort();
  }

  /** The whole of a run that was recorded. */
  static opened(request: Request, stepwise: boolean, records: Recorded[], seconds: number, phase: Phase): Live {
    const live = new Live(request, stepwise);
    for (const [at, told] of records) live.#take([told], at);
    live.#seconds = seconds;
    live.phase.value = phase;
    return live;
  }

  /** The same run again, as fast as it was. */
  replay(): Live {
    const again = new Live(this.request, this.stepwise);
    again.phase.value = "replaying";
    again.refusal = this.refusal;
    let next = 0;
    const step = () => {
      if (again.#aborted.signal.aborted) next = this.records.length && again.#skip(this.records, next);
      const now = performance.now() - again.begun;
      for (; next < this.records.length && this.records[next]![0] <= now; next++)
        again.#take([this.records[next]![1]], this.records[next]![0]);
      again.frame.value++;
      if (next < this.records.length) requestAnimationFrame(step);
      else again.#end(this.phase.value, this.#seconds);
    };
    requestAnimationFrame(step);
    return again;
  }

  #skip(records: Recorded[], next: number): number {
    for (const [at, told] of records.slice(next)) this.#take([told], at);
    return records.length;
  }

  #tell(told: Told): void {
    if (this.#waiting.push(told) > 1) return;
    if (document.hidden) setTimeout(this.#flush, UNSEEN);
    else requestAnimationFrame(this.#flush);
  }

  #flush = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (!waiting.length) return;
    this.#take(joined(waiting), Math.round(performance.now() - this.begun));
    this.frame.value++;
  };

  #take(all: Told[], at: number): void {
    for (const told of all) {
      fold(this.run, told);
      this.records.push([at, told]);
    }
  }

  #end(phase: Phase, seconds = this.seconds): void {
    this.#flush();
    this.#seconds = this.run.trace?.seconds ?? seconds;
    this.phase.value = phase;
    this.frame.value++;
  }
}

/** The same with each sequence's tokens in one event, as far as nothing else about it comes between. */
function joined(all: Told[]): Told[] {
  const last = new Map<string, Told>();
  const kept: Told[] = [];
  for (const told of all) {
    const { event } = told;
    const before = event && last.get(event.id);
    if (before?.event && event?.event === "token" && !told.content) {
      before.event.text = (before.event.text ?? "") + (event.text ?? "");
      before.event.tokens = (before.event.tokens ?? 0) + (event.tokens ?? 0);
      continue;
    }
    kept.push(told);
    if (event?.event === "token") last.set(event.id, told);
    else if (event) last.delete(event.id);
  }
  return kept;
}
