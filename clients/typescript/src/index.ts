/** The API's client: typed calls over `fetch`, each with the key's token and a deadline. */

import createFetchClient, { type Client as FetchClient } from "openapi-fetch";
import type { paths } from "./schema.js";

export type {
  BatchAnswer,
  EventRecord,
  ItemRecord,
  Problem,
  RankedItem,
  RecommendationAnswer,
  RecommendationRequest,
} from "./schema.js";

/** What this client reads: answers are `application/json`, errors `application/problem+json`. */
type Json = `${string}/${string}json`;

/** `POST`, `GET` and `PUT` take a path of the API; they return `data`, or `error` with the problem. */
export type Client = FetchClient<paths, Json>;

export interface Settings {
  /** The API's address, such as http://127.0.0.1:8080. */
  url: string;
  /** The token of a key; a page needs a public key, because everyone can read it. */
  token: string;
  /** How long a slate is of use. A call may have another deadline, as its header `X-Deadline-Ms`. */
  deadlineMs?: number;
  /** How long any other call may take. */
  timeoutMs?: number;
}

const SLATES = ["/v1/recommendations", "/v1/recommendations:stream"];
const DEADLINE = "X-Deadline-Ms";

/** A client of one API with one key. A call without an answer in time rejects with a `TimeoutError`. */
export function createClient({ url, token, deadlineMs = 300, timeoutMs = 10_000 }: Settings): Client {
  const client = createFetchClient<paths, Json>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
  client.use({
    onRequest({ request, schemaPath }) {
      let withinMs = timeoutMs;
      if (SLATES.includes(schemaPath)) {
        withinMs = Number(request.headers.get(DEADLINE) ?? deadlineMs);
        request.headers.set(DEADLINE, String(withinMs)); // the API need not finish what the page no longer waits for
      }
      return new Request(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(withinMs)]) });
    },
  });
  return client;
}
