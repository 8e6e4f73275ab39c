import { ask, contestant, form } from "./store";

const IDEAS = [
  {
    question: "Each of 5 friends shakes hands once with every other. How many handshakes are there?",
    strategies: ["beam_search"],
    says: "Beam search",
    why: "Steps are judged as they grow; the weak ones are pruned.",
  },
  {
    question: "What is the sum of all positive integers below 100 that are divisible by 3 or by 5?",
    strategies: ["self_consistency"],
    says: "Self-consistency",
    why: "Many answers are drawn. They vote, and stop once the vote is settled.",
  },
  {
    question: "Solve x² − 5x + 6 = 0 and give the product of the solutions.",
    strategies: ["mcts", "best_of_n"],
    says: "Tree search against best-of-n",
    why: "Two strategies, side by side, on one question.",
  },
];

/** What is shown before anything was asked. */
export function Welcome() {
  const choose = (idea: (typeof IDEAS)[number]) => {
    form.value = { ...form.value, question: idea.question, contestants: idea.strategies.map(contestant) };
    ask();
  };
  return (
    <section class="welcome">
      <Glyph />
      <h1>
        Watch a model <em>think it over.</em>
      </h1>
      <p>
        Ponder spends compute on the answer, not on the model: it samples, judges, prunes and votes. Ask something, and see
        every path that was tried.
      </p>
      <ul>
        {IDEAS.map((idea) => (
          <li key={idea.says}>
            <button onClick={() => choose(idea)}>
              <b>{idea.says}</b>
              <span>{idea.question}</span>
              <small>{idea.why}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A small search whose best path is lit. */
function Glyph() {
  const [dim, lit] = [
    ["M130 14C130 44 40 34 40 64", "M130 14C130 44 100 34 100 64", "M130 14C130 44 220 34 220 64", "M160 64C160 94 130 84 130 114", "M160 64C160 94 160 84 160 114", "M40 64C40 94 20 84 20 114", "M40 64C40 94 60 84 60 114"],
    ["M130 14C130 44 160 34 160 64", "M160 64C160 94 190 84 190 114"],
  ];
  const spots = [[40, 64], [100, 64], [220, 64], [130, 114], [160, 114], [20, 114], [60, 114]];
  return (
    <svg class="glyph" viewBox="0 0 240 130" width="240" height="130" aria-hidden="true">
      {dim!.map((d) => <path key={d} d={d} class="dim" />)}
      {lit!.map((d) => <path key={d} d={d} class="lit" pathLength={1} />)}
      {spots.map(([x, y]) => <circle key={`${x},${y}`} cx={x} cy={y} r="4.500" class="dim" />)}
      {[[130, 14], [160, 64], [190, 114]].map(([x, y]) => <circle key={`${x},${y}`} cx={x} cy={y} r="6" class="lit" />)}
    </svg>
  );
}
