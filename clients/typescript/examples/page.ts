import { createClient, type EventRecord, type RecommendationRequest } from "@headrace/client";

declare const API: string, TOKEN: string; // of your page

const api = createClient({ url: API, token: TOKEN, deadlineMs: 300 });
const user = { anonymous_id: "visitor-8", session_id: "visit-4" };

const asked: RecommendationRequest = { ...user, surface: "feed", count: 2 };
const { data: slate, error } = await api.POST("/v1/recommendations", { body: asked });
if (error) console.warn(error.detail, error.fix); // show the page without it

const clicked = slate?.items[0];
if (slate && clicked) {
  const click: EventRecord = {
    event_id: `${slate.request_id}-click-${clicked.rank}`, user_id: user.anonymous_id, session_id: user.session_id,
    event_type: "click", item_id: clicked.id, request_id: slate.request_id, position: clicked.rank, occurred_at: Date.now(),
  };
  const { data: sent } = await api.POST("/v1/events", { body: { events: [click] }, keepalive: true });
  console.log("clicks accepted:", sent?.accepted);
}
