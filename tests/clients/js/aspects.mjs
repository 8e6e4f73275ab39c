// What the clients' scripts share: where the server is, what to ask it, and how to tell what was seen.

export const [server, model, ...wanted] = process.argv.slice(2);
export const baseURL = `${server}/v1`;
export const apiKey = "any";
export const question = "What is 20 + 22?";
export const again = { role: "user", content: "And once more?" };
export const vote = { reasoning_strategy: { name: "self_consistency", n: 4 } };
export const fields = { ...vote, reasoning_format: "fields" };
export const unknown = { reasoning_strategy: "no_such_strategy" };

// Tries each aspect, or those that were named, and prints what it returned or threw as one line of JSON.
export async function tell(aspects) {
  const told = {};
  for (const name of wanted.length ? wanted : Object.keys(aspects)) {
    try {
      told[name] = { saw: await aspects[name]() };
    } catch (error) {
      console.error(error);
      told[name] = { raised: error.constructor.name, says: error.message, param: error.param ?? null };
    }
  }
  console.log(JSON.stringify(told));
}
