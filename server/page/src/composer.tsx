import { useId } from "preact/hooks";
import type { Described } from "./api";
import { Budget } from "./budget";
import { Fields } from "./fields";
import { Icon } from "./icons";
import { Select } from "./select";
import { ask, change, contestant, described, form, lives, offered, stop, type Contestant } from "./store";

const MOST = 2;

/** Where a question is asked: the words, the strategies, the budget. */
export function Composer() {
  const { contestants } = form.value;
  const going = lives.value.some((live) => live.going);
  const submit = (event: Event) => {
    event.preventDefault();
    ask();
  };
  return (
    <aside class="composer" aria-label="Ask">
      <form onSubmit={submit}>
        <Question />
        <Model />
        {contestants.map((one, index) => (
          <Strategy key={index} one={one} index={index} />
        ))}
        {contestants.length < MOST && (
          <button type="button" class="quiet add" onClick={() => change({ contestants: [...contestants, contestant("self_consistency")] })}>
            <Icon name="add" /> Compare with another strategy
          </button>
        )}
        <Budget />
        <div class="ask">
          {/* Keys, for one button that turns from the one into the other would end the click as a question. */}
          {going ? (
            <button key="stop" type="button" class="primary stop" onClick={stop}>
              <Icon name="stop" /> Stop
            </button>
          ) : (
            <button key="ask" class="primary" disabled={!form.value.question.trim() || !form.value.model}>
              <Icon name="ask" /> Ask <kbd>Ctrl ↵</kbd>
            </button>
          )}
        </div>
      </form>
    </aside>
  );
}

function Question() {
  const typed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    ask();
  };
  return (
    <label class="field words">
      <span>Question</span>
      <textarea
        rows={4}
        placeholder="Something that takes thinking…"
        value={form.value.question}
        onInput={(event) => change({ question: event.currentTarget.value })}
        onKeyDown={typed}
      />
    </label>
  );
}

function Model() {
  return (
    <label class="field">
      <span>Model</span>
      <Select
        value={form.value.model}
        options={offered.value?.models ?? []}
        onChange={(model) => change({ model })}
      />
    </label>
  );
}

function Strategy({ one, index }: { one: Contestant; index: number }) {
  const { contestants } = form.value;
  const kind = described(one.strategy, offered.value?.strategies);
  const put = (changed: Partial<Contestant>) =>
    change({ contestants: contestants.map((other, at) => (at === index ? { ...other, ...changed } : other)) });
  const letter = contestants.length > 1 ? ` ${"AB"[index]}` : "";
  const id = useId();
  return (
    <fieldset class="contestant">
      <legend>
        <label for={id}>Strategy{letter}</label>
        {contestants.length > 1 && (
          <button
            type="button"
            class="quiet"
            aria-label={`Remove strategy${letter}`}
            onClick={() => change({ contestants: contestants.filter((_, at) => at !== index) })}
          >
            <Icon name="close" />
          </button>
        )}
      </legend>
      <Select
        id={id}
        value={one.strategy}
        options={offered.value?.strategies.map(({ name }) => name) ?? []}
        onChange={(name) => put(contestant(name))}
      />
      {kind && <Summary of={kind} />}
      {kind?.settings_schema.properties?.verifier && <Verifier one={one} put={put} />}
      {kind && (
        <details>
          <summary>Settings{Object.keys(one.settings).length ? ` · ${Object.keys(one.settings).length} changed` : ""}</summary>
          <Fields
            schema={kind.settings_schema}
            values={one.settings}
            without={["name", "verifier"]}
            onChange={(settings) => put({ settings })}
          />
        </details>
      )}
    </fieldset>
  );
}

function Verifier({ one, put }: { one: Contestant; put: (changed: Partial<Contestant>) => void }) {
  const kinds = offered.value?.verifiers ?? [];
  const kind = described(one.verifier, kinds);
  const some = Object.keys(kind?.settings_schema.properties ?? {}).length > 1;
  return (
    <>
      <label class="field">
        <span>Verifier</span>
        <Select
          value={one.verifier}
          options={kinds.map(({ name }) => name)}
          none="the server’s default"
          onChange={(verifier) => put({ verifier, verifierSettings: {} })}
        />
      </label>
      {kind && <Summary of={kind} />}
      {kind && some && (
        <Fields
          key={kind.name}
          schema={kind.settings_schema}
          values={one.verifierSettings}
          without={["name"]}
          onChange={(verifierSettings) => put({ verifierSettings })}
        />
      )}
    </>
  );
}

/** The first paragraph of a description; names in it as code. */
function Summary({ of: { description } }: { of: Described }) {
  const parts = description.split("\n\n")[0]!.replace(/\s+/g, " ").split("`");
  return <p class="hint">{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</p>;
}
