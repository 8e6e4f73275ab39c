/** What the page knows: what the server offers, what is filled in, the runs that are shown. */

import { signal } from "@preact/signals";
import { key, offer, Refusal, type Described, type Offer } from "./api";
import { Live, type Request } from "./live";
import type { Limit } from "./run";

export type Values = Record<string, unknown>;

/** One strategy of a question, as it is filled in. */
export interface Contestant {
  strategy: string;
  settings: Values;
  verifier: string;
  verifierSettings: Values;
}

export interface Form {
  question: string;
  model: string;
  budget: Partial<Record<Limit, number>>;
  maxTokens?: number;
  contestants: Contestant[];
}

export const offered = signal<Offer | undefined>(undefined);
export const form = signal<Form>({
  question: "",
  model: "",
  budget: { tokens: 16384, seconds: 120 },
  contestants: [contestant("beam_search")],
});
export const lives = signal<Live[]>([]);
export const question = signal("");
/** The candidate that is read in full. */
export const reading = signal<{ live: Live; id: string } | undefined>(undefined);
/** Why a key is asked for: nothing, or what to do once there is one. */
export const locked = signal<(() => void) | undefined>(undefined);
export const complaint = signal<string | undefined>(undefined);

export function contestant(strategy: string): Contestant {
  return { strategy, settings: {}, verifier: "", verifierSettings: {} };
}

/** Fill something in. */
export function change(changed: Partial<Form>): void {
  form.value = { ...form.value, ...changed };
}

/** Ask the server what it has; where it wants a key, ask for one. */
export async function load(): Promise<void> {
  try {
    offered.value = await offer();
    complaint.value = undefined;
    const { models, strategies } = offered.value;
    const known = (one: Contestant) => strategies.some(({ name }) => name === one.strategy);
    const contestants = form.value.contestants.map((one) => (known(one) ? one : contestant(strategies[0]!.name)));
    form.value = { ...form.value, model: form.value.model || (models[0] ?? ""), contestants };
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) locked.value = load;
    else complaint.value = error instanceof Refusal ? error.message : String(error);
  }
}

export function unlock(value: string): void {
  key.set(value);
  const then = locked.value;
  locked.value = undefined;
  then?.();
}

export function described(name: string, kinds: Described[] | undefined): Described | undefined {
  return kinds?.find((kind) => kind.name === name);
}

/** Whether a strategy grows its paths step by step: then it has a setting for what ends a step. */
export function stepwise(strategy: string): boolean {
  return "step" in (described(strategy, offered.value?.strategies)?.settings_schema.properties ?? {});
}

export function requests({ question, model, budget, maxTokens, contestants }: Form): Request[] {
  return contestants.map(({ strategy, settings, verifier, verifierSettings }) => ({
    model,
    messages: [{ role: "user", content: question }],
    reasoning_strategy: {
      name: strategy,
      ...settings,
      ...(verifier && { verifier: { name: verifier, ...verifierSettings } }),
    },
    ...(Object.keys(budget).length && { reasoning_budget: budget }),
    ...(maxTokens && { max_tokens: maxTokens }),
  }));
}

/** Ask what is filled in, of all strategies at once. */
export function ask(): void {
  if (!form.value.question.trim() || !form.value.model) return;
  stop();
  reading.value = undefined;
  question.value = form.value.question.trim();
  lives.value = requests(form.value).map((request) => new Live(request, stepwise(request.reasoning_strategy.name)));
  requestAnimationFrame(() => document.querySelector(".stage")?.scrollIntoView());
  for (const live of lives.value)
    void live.ask().then(() => {
      if (live.refusal?.status === 401) locked.value = ask;
    });
}

export function stop(): void {
  for (const live of lives.value) live.stop();
}

export function replay(): void {
  reading.value = undefined;
  lives.value = lives.value.map((live) => live.replay());
}
