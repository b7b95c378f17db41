// The page's languages. A word that is missing is a defect that the tests find.

import en from './en.js';
import ko from './ko.js';

export const LANGUAGES = { en, ko };
const KEPT = 'onair.language';

let current = 'en';

function kept() {
  try {
    return window.localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

// The address may ask for a language (`?lang=ko`); else what the viewer chose last, else the browser's.
export function chooseLanguage() {
  const wishes = [new URLSearchParams(location.search).get('lang'), kept(), ...(navigator.languages ?? [])];
  const known = wishes.map((wish) => wish?.toLowerCase().split('-')[0]).find((wish) => wish in LANGUAGES);
  current = known ?? 'en';
}

export function setLanguage(language) {
  current = language;
  try {
    window.localStorage.setItem(KEPT, language);
  } catch {
    // it is kept for as long as the page lives
  }
}

export const language = () => current;

export function has(key) {
  return Object.hasOwn(LANGUAGES[current], key);
}

// The words of a key, with `{name}` replaced.
export function t(key, values = {}) {
  const words = LANGUAGES[current][key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

// Writes the words that never change into the document.
export function translate() {
  document.documentElement.lang = current;
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t(node.dataset.tLabel));
  for (const node of document.querySelectorAll('[data-t-placeholder]')) node.placeholder = t(node.dataset.tPlaceholder);
}
