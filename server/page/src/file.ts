/** Runs as a file: written, and opened again. */

import { Refusal } from "./api";
import { Live, type Phase, type Recorded, type Request } from "./live";
import { complaint, form, lives, question, reading, stop } from "./store";

const VERSION = 1;

interface Saved {
  ponder: number;
  question: string;
  runs: {
    request: Request;
    stepwise: boolean;
    phase: Phase;
    seconds: number;
    error?: { status: number; message: string; code?: string };
    records: Recorded[];
  }[];
}

export function saved(): Saved {
  return {
    ponder: VERSION,
    question: question.value,
    runs: lives.value.map((live) => ({
      request: live.request,
      stepwise: live.stepwise,
      phase: live.phase.value,
      seconds: live.seconds,
      error: live.refusal && { status: live.refusal.status, message: live.refusal.message, code: live.refusal.code },
      records: live.records,
    })),
  };
}

/** Hand the runs that are shown to the browser, as a download. */
export function save(): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(saved())], { type: "application/json" }));
  const names = lives.value.map((live) => live.strategy).join("-");
  Object.assign(document.createElement("a"), { href: url, download: `ponder-${names}.json` }).click();
  URL.revokeObjectURL(url);
}

/** Show the runs of a file; one that cannot be read changes nothing but is complained of. */
export async function open(file: File): Promise<void> {
  try {
    const told: Saved = JSON.parse(await file.text());
    if (told.ponder !== VERSION) throw new Error("it is not a run that this page has saved");
    const opened = told.runs.map((run) => {
      const live = Live.opened(run.request, run.stepwise, run.records, run.seconds, run.phase);
      if (!live.strategy) throw new Error("a run in it names no strategy");
      if (run.error) live.refusal = new Refusal(run.error.status, run.error.message, run.error.code);
      return live;
    });
    stop();
    reading.value = undefined;
    complaint.value = undefined;
    [lives.value, question.value] = [opened, told.question];
    form.value = { ...form.value, question: told.question };
  } catch (error) {
    complaint.value = `${file.name} cannot be opened: ${error instanceof Error ? error.message : error}.`;
  }
}
