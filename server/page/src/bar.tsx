import { useRef } from "preact/hooks";
import icon from "./icon.svg";
import { Icon } from "./icons";
import { open, save } from "./file";
import { lives, replay } from "./store";
import { theme, turn } from "./theme";

/** The line at the top: whose page this is, and what can be done with the runs that are shown. */
export function Bar() {
  const shown = lives.value.length > 0;
  const idle = shown && lives.value.every((live) => !live.going);
  return (
    <header class="bar">
      <a class="brand" href="./" aria-label="Ponder, start anew">
        <img src={icon} alt="" width="26" height="26" />
        <span>Ponder</span>
      </a>
      <nav aria-label="Runs">
        <button class="quiet" onClick={replay} disabled={!idle}>
          <Icon name="replay" /> <span class="wide">Replay</span>
        </button>
        <Opener />
        <button class="quiet" onClick={save} disabled={!idle}>
          <Icon name="save" /> <span class="wide">Export</span>
        </button>
        <button class="quiet" onClick={turn} aria-label={`Use the ${theme.value === "dark" ? "light" : "dark"} theme`}>
          <Icon name={theme.value === "dark" ? "sun" : "moon"} />
        </button>
      </nav>
    </header>
  );
}

function Opener() {
  const input = useRef<HTMLInputElement>(null);
  const chosen = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    if (field.files?.[0]) void open(field.files[0]);
    field.value = "";
  };
  return (
    <>
      <button class="quiet" onClick={() => input.current?.click()}>
        <Icon name="open" /> <span class="wide">Open</span>
      </button>
      <input ref={input} type="file" accept="application/json" hidden onChange={chosen} aria-label="A run to open" />
    </>
  );
}
