// Money, times and durations in the viewer's language.

import { language } from './words/index.js';

const formats = new Map();

function moneyFormat(currency) {
  const name = `${language()} ${currency}`;
  if (!formats.has(name)) {
    formats.set(name, new Intl.NumberFormat(language(), { style: 'currency', currency }));
  }
  return formats.get(name);
}

// Minor units: how many of them make one is the currency's own.
export function money({ minor, currency }) {
  const format = moneyFormat(currency);
  const digits = format.resolvedOptions().maximumFractionDigits;
  return format.format(minor / 10 ** digits);
}

export const times = (price, quantity) => ({ ...price, minor: price.minor * quantity });

export const number = (value) => new Intl.NumberFormat(language()).format(value);

// A time of the day.
export function timeOfDay(iso) {
  return new Intl.DateTimeFormat(language(), { hour: 'numeric', minute: '2-digit' }).format(new Date(iso));
}

// 75000 → 1:15
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (value) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = `${hours ? two(minutes) : minutes}:${two(seconds % 60)}`;
  return hours ? `${hours}:${tail}` : tail;
}
