// What is kept in the browser: for good, or as long as the tab lives.

export function kept(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch { return null; }  // private windows keep nothing
}

const tab = new Map();

export function inTab(name, value) {
  if (value !== undefined) tab.set(name, value);
  try {
    if (value !== undefined) sessionStorage.setItem(name, value);
    return sessionStorage.getItem(name) || "";
  } catch { return tab.get(name) || ""; }
}

export function keptJson(name, value) {
  try {
    return JSON.parse(kept(name, value === undefined ? undefined : JSON.stringify(value)));
  } catch { return null; }
}
