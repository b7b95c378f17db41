// The document, written to only as text: nothing from the outside is ever parsed as HTML.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name in node && name !== 'list') node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Writes only what changed, so that a screen reader is not told the same again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

// A button stays reachable by keyboard when it cannot be pressed, so that its words can be read.
export function setEnabled(button, enabled) {
  setAttribute(button, 'aria-disabled', enabled ? null : 'true');
}

export const isEnabled = (button) => button.getAttribute('aria-disabled') !== 'true';

let spoken = '';

// Tells a screen reader; the same words again are told again.
export function announce(text) {
  const announcer = byId('announcer');
  announcer.textContent = text === spoken ? `${text}\u00a0` : text;
  spoken = announcer.textContent;
}

export function metaContent(name) {
  return document.querySelector(`meta[name="${name}"]`)?.content ?? '';
}
