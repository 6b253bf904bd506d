import { createClient, type Problem } from "@headrace/client";

declare const API: string, TOKEN: string; // of your page

const api = createClient({ url: API, token: TOKEN });

const { data, error } = await api.POST("/v1/recommendations", { body: { anonymous_id: "visitor-9", count: 0 } });
if (data) throw new Error("a slate of no items");
const problem: Problem = error; // its `pointer` names the field, `fix` says what to do
console.log(JSON.stringify(problem));
