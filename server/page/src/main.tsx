/** The page: ask a question, and see the search for its answer. */

import "katex/dist/katex.min.css";
import "./fonts.css";
import "./theme.css";
import "./page.css";
import "./dialogs.css";
import "./search.css";
import "./tree.css";
import "./lanes.css";
import { render } from "preact";
import { App } from "./app";
import { load } from "./store";

render(<App />, document.body);
void load();
