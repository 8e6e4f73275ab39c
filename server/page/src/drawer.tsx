import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import type { Node } from "./run";
import { path, whole } from "./seen";
import { reading } from "./store";
import { Rendered, Short } from "./text";
import { STATES } from "./words";

/** One candidate in full. Arrow keys go on to the next, Escape closes. */
export function Drawer() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = reading.value;
  open?.live.frame.value;
  const node = open && open.live.run.nodes.get(open.id);
  useLayoutEffect(() => {
    if (node) {
      if (!dialog.current?.open) dialog.current?.showModal();
    } else dialog.current?.close();
  }, [Boolean(node)]);
  const walk = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  };
  return (
    <dialog
      ref={dialog}
      class="drawer"
      aria-labelledby="drawer-title"
      onClose={() => !dialog.current!.open && (reading.value = undefined)}
      onKeyDown={walk}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      {node && <Reader node={node} close={() => dialog.current?.close()} />}
    </dialog>
  );
}

/** Read the candidate that comes so many later. */
function turn(by: number): void {
  const { live, id } = reading.value!;
  const ids = [...live.run.nodes.keys()];
  const next = ids[ids.indexOf(id) + by];
  if (next) reading.value = { live, id: next };
}

function Reader({ node, close }: { node: Node; close: () => void }) {
  const { live } = reading.value!;
  const [raw, setRaw] = useState(false);
  const text = node.error ?? whole(live.run, node, live.stepwise);
  return (
    <>
      <header>
        <div>
          <h2 id="drawer-title">Candidate {node.id.slice(2)}</h2>
          <Path node={node} />
        </div>
        <button class="quiet" aria-label="Previous candidate" onClick={() => turn(-1)}>
          <Icon name="left" />
        </button>
        <button class="quiet" aria-label="Next candidate" onClick={() => turn(1)}>
          <Icon name="right" />
        </button>
        <button class="quiet" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <Facts node={node} />
      {node.why && node.pruned && <p class="why">{node.why}</p>}
      <div class="body" tabIndex={0} aria-label="Text">
        {raw ? <pre>{text}</pre> : <Rendered text={text} />}
      </div>
      <footer>
        <button class="quiet" aria-pressed={raw} onClick={() => setRaw(!raw)}>
          {raw ? "Rendered" : "As it was written"}
        </button>
        <button class="quiet" onClick={() => void navigator.clipboard.writeText(text)}>
          Copy
        </button>
      </footer>
    </>
  );
}

/** The way from the root, each step with its score. */
function Path({ node }: { node: Node }) {
  const { live } = reading.value!;
  const ids = path(live.run, node.id).reverse();
  if (ids.length < 2) return null;
  return (
    <nav class="path" aria-label="Path">
      {ids.map((id) => (
        <button key={id} class="quiet" aria-current={id === node.id} onClick={() => (reading.value = { live, id })}>
          {live.run.nodes.get(id)!.score?.toFixed(2) ?? id.slice(id.lastIndexOf(".") + 1)}
        </button>
      ))}
    </nav>
  );
}


function Facts({ node }: { node: Node }) {
  const { live } = reading.value!;
  return (
    <dl class="facts-of-one">
      <dt>State</dt>
      <dd data-state={node.state}>
        {STATES[node.state]}
        {node.pruned && ", pruned"}
        {live.run.chosen === node.id && <em> chosen</em>}
      </dd>
      <dt>Answer</dt>
      <dd>{node.answer === undefined ? "—" : <Short answer={node.answer} />}</dd>
      <dt>Score</dt>
      <dd>{node.score?.toFixed(3) ?? "—"}</dd>
      <dt>Tokens</dt>
      <dd>{node.tokens}</dd>
    </dl>
  );
}
