import { call } from "../api.js";
import { h } from "../dom.js";
import { t } from "../text.js";
import { ask, badge, button, card, confirm, copyField, field, list, menu, row, say, time } from "../ui.js";

const HOUR_MS = 3600 * 1000;

/** Endpoints that get the events, and what they have not accepted. */
export function webhooks({ organization, query, setQuery, signal }) {
  const organizationId = organization.id;
  const place = h("div", {});
  const show = (webhook) => {
    setQuery({ webhook: webhook?.id });
    place.replaceChildren(...(webhook ? [deliveries(organizationId, webhook, signal)] : []));
  };
  const endpoints = list({
    label: t("webhooks.title"),
    empty: t("webhooks.none"),
    load: async (pageToken) => {
      const answer = await call("webhooks.ListWebhooks", { organizationId, page: { pageToken } }, { signal });
      const found = answer.webhooks ?? [];
      const shown = found.find((webhook) => webhook.id === query.get("webhook"));
      if (shown && !place.hasChildNodes()) show(shown);
      return [found, answer.nextPageToken];
    },
    row: (webhook, { reload }) => endpointRow(organizationId, webhook, reload, show),
  });
  const make = async () => {
    const answer = await edit(t("webhooks.create"), t("create"), {}, `webhooks/${organizationId}`, (fields) => call("webhooks.CreateWebhook", { organizationId, ...fields }));
    if (!answer) return;
    endpoints.reload();
    await showSecret(answer.secret);
  };
  return [card(t("webhooks.endpoints"), h("p", { class: "muted" }, t("webhooks.note")), h("div", { class: "bar" }, button(t("webhooks.create"), make, { class: "primary" })), endpoints), place];
}

function showSecret(secret) {
  return ask({ title: t("webhooks.secret"), body: [h("p", {}, t("webhooks.secretHint")), copyField(t("webhooks.secret"), secret)] });
}

function edit(title, action, webhook, draft, work) {
  const url = h("input", { type: "url", required: true, maxlength: 2048, value: webhook.url ?? "", placeholder: "https://example.com/events" });
  const description = h("input", { maxlength: 512, value: webhook.description ?? "", autocomplete: "off" });
  const types = h("input", { value: (webhook.eventTypes ?? []).join(", "), spellcheck: "false", autocomplete: "off", placeholder: "member.joined, member.left" });
  return ask({
    title,
    body: [field(t("webhooks.url"), url), field(t("webhooks.description"), description), field(t("webhooks.types"), types, t("webhooks.typesHint"))],
    action, draft,
    work: () => work({ url: url.value, description: description.value, eventTypes: types.value.split(/[\s,;]+/).filter(Boolean) }),
  });
}

function endpointRow(organizationId, webhook, reload, show) {
  const ids = { organizationId, webhookId: webhook.id };
  const change = (method) => async () => {
    await call(`webhooks.${method}`, ids);
    reload();
  };
  const test = async () => {
    const result = await call("webhooks.SendTest", ids);
    say(result.accepted ? t("webhooks.accepted") : t("webhooks.refused", { reason: result.reason || result.status }), !result.accepted);
  };
  const update = async () => {
    const done = await edit(t("webhooks.edit"), t("save"), webhook, `webhooks/${webhook.id}`, ({ url, description, eventTypes: types }) =>
      call("webhooks.UpdateWebhook", { ...ids, url, description, eventTypes: { types } }));
    if (done) reload();
  };
  const rotate = async () => {
    const answer = await confirm(t("webhooks.rotateTitle"), t("webhooks.rotateNote"), t("webhooks.rotate"), () => call("webhooks.RotateSecret", ids));
    if (answer) await showSecret(answer.secret);
  };
  const remove = async () => {
    const done = await confirm(t("webhooks.deleteTitle"), t("webhooks.deleteNote", { url: webhook.url }), t("delete"), () => call("webhooks.DeleteWebhook", ids));
    if (!done) return;
    show(null);
    reload();
  };
  const state = !webhook.enabled ? badge(t(`webhooks.off.${webhook.disabledReason}`), "warn")
    : webhook.firstFailureTime ? badge(t("webhooks.failing"), "bad") : badge(t("webhooks.on"), "good");
  return row(webhook.url, webhook.description || null, [state],
    [button(t("webhooks.deliveries"), async () => show(webhook)), menu(t("actions", { name: webhook.url }), [
      [t("webhooks.test"), test], [t("webhooks.edit"), update], [t("webhooks.rotate"), rotate],
      webhook.enabled ? [t("webhooks.disable"), change("DisableWebhook")] : [t("webhooks.enable"), change("EnableWebhook")],
      [t("delete"), remove, true],
    ])]);
}

function deliveries(organizationId, webhook, signal) {
  const ids = { organizationId, webhookId: webhook.id };
  const waiting = list({
    label: t("webhooks.deliveries"),
    empty: t("webhooks.nothingWaits"),
    load: async (pageToken) => {
      const answer = await call("webhooks.ListDeliveries", { ...ids, page: { pageToken } }, { signal });
      return [answer.deliveries ?? [], answer.nextPageToken];
    },
    row: (delivery) => row(delivery.eventType, delivery.reason || null,
      [t("webhooks.attempts", { count: delivery.attempts ?? 0 }), delivery.status ? `HTTP ${delivery.status}` : "",
        h("span", { class: "muted" }, delivery.nextAttemptTime ? [t("webhooks.next"), " ", time(delivery.nextAttemptTime)] : "")]),
  });
  const replay = async () => {
    let events = 0;
    const span = { startTime: new Date(Date.now() - HOUR_MS).toISOString(), endTime: new Date().toISOString() };
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const answer = await call("webhooks.Replay", { ...ids, ...span, pageToken });
      events += answer.events ?? 0;
      pageToken = answer.nextPageToken ?? "";
    }
    say(t("webhooks.replayed", { count: events }));
    waiting.reload();
  };
  return card(t("webhooks.deliveriesOf", { url: webhook.url }), h("p", { class: "muted" }, t("webhooks.deliveriesNote")),
    h("div", { class: "bar" }, button(t("reload"), async () => waiting.reload()), button(t("webhooks.replay"), replay)), waiting);
}
