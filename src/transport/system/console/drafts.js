// What was typed and not sent yet: it is there again after going back, and after closing a dialog.

import { onForget } from "./session.js";

const drafts = new Map();

onForget(() => drafts.clear());

const KEPT = "input:not([type=file], [type=password], [readonly]), select, textarea";
const controls = (form) => [...form.elements].filter((control) => control.matches(KEPT));

function fill(control, value) {
  if (control.type === "checkbox") control.checked = value;
  // A select without this option keeps its own.
  else if (!control.options || [...control.options].some((option) => option.value === value)) control.value = value;
}

/** Keeps the values of the form's controls under this key. `save` is for changes without an event. */
export function keep(form, key) {
  const kept = drafts.get(key);
  if (kept) controls(form).forEach((control, index) => index in kept && fill(control, kept[index]));
  const save = () => drafts.set(key, controls(form).map((control) => (control.type === "checkbox" ? control.checked : control.value)));
  form.addEventListener("input", save);
  form.addEventListener("change", save);
  return { save, forget: () => drafts.delete(key) };
}
