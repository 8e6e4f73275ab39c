import { useEffect, useState } from "preact/hooks";
import { Bar } from "./bar";
import { Composer } from "./composer";
import { Drawer } from "./drawer";
import { open } from "./file";
import { KeyDialog } from "./key";
import { Search } from "./search";
import { complaint, lives, question } from "./store";
import { Welcome } from "./welcome";

export function App() {
  const dragged = useDropped();
  return (
    <div class="app" data-dragged={dragged}>
      <Bar />
      <Composer />
      <main class="stage" aria-label="The search">
        {complaint.value && (
          <p class="complaint" role="alert">
            {complaint.value}
          </p>
        )}
        {lives.value.length ? <Runs /> : <Welcome />}
      </main>
      <Drawer />
      <KeyDialog />
    </div>
  );
}

function Runs() {
  return (
    <>
      <h1 class="question">{question.value}</h1>
      <div class="runs" data-count={lives.value.length}>
        {lives.value.map((live, index) => (
          <Search key={live.begun + index} live={live} />
        ))}
      </div>
    </>
  );
}

/** Files that are dropped anywhere are opened. True while one hovers. */
function useDropped(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const drag = (event: DragEvent) => {
      event.preventDefault();
      setOver(event.type === "dragover");
      const file = event.type === "drop" && event.dataTransfer?.files[0];
      if (file) void open(file);
    };
    const kinds = ["dragover", "dragleave", "drop"] as const;
    for (const kind of kinds) addEventListener(kind, drag);
    return () => {
      for (const kind of kinds) removeEventListener(kind, drag);
    };
  }, []);
  return over;
}
