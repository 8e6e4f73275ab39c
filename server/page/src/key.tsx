import { useLayoutEffect, useRef } from "preact/hooks";
import { key } from "./api";
import { locked, unlock } from "./store";

/** Asks for the server's key. It is kept for as long as the tab is open. */
export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const wanted = Boolean(locked.value);
  useLayoutEffect(() => {
    if (wanted) dialog.current?.showModal();
    else dialog.current?.close();
  }, [wanted]);
  const submit = (event: Event) => {
    event.preventDefault();
    const field = new FormData(event.currentTarget as HTMLFormElement).get("key");
    unlock(String(field ?? "").trim());
  };
  return (
    <dialog ref={dialog} class="key" aria-labelledby="key-title" onCancel={() => (locked.value = undefined)}>
      <form onSubmit={submit}>
        <h2 id="key-title">This server wants a key</h2>
        <p>{key.get() ? "It does not know the one that was given. " : ""}It is kept in this tab only, until you close it.</p>
        <label>
          <span>Key</span>
          <input name="key" type="password" autocomplete="off" spellcheck={false} required autofocus />
        </label>
        <button class="primary">Continue</button>
      </form>
    </dialog>
  );
}
