// What a script adds: fresh parts without reloading, the summary of mistakes in focus, a button that is pressed once.
// Every page works without it. Nothing is shown that the server would not show on this very page.

/** Fetch the page again and put in the marked parts that changed; true while there is more to come. */
async function refresh(address) {
  const reply = await fetch(address, { headers: { accept: "text/html" }, redirect: "error" });
  if (!reply.ok) return false;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const now = fresh.getElementById(part.id);
    if (now === null || now.innerHTML === part.innerHTML) continue;
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    part.className = now.className;
    part.replaceChildren(...now.childNodes);
    part.querySelectorAll("details").forEach((one, nth) => { one.open = open[nth] ?? false; });
  }
  return fresh.querySelector("[data-events]") !== null;
}

/** Follow the page's own stream: one refresh for any number of events that come together. */
function follow(main) {
  const { events, types, page } = main.dataset;
  const stream = new EventSource(events);
  let due = null;
  const soon = () => {
    due ??= setTimeout(async () => {
      due = null;
      try {
        if (!(await refresh(page))) stream.close();
      } catch {
        // Away for a moment: the next event, or the stream's own return, asks again.
      }
    }, 150);
  };
  for (const type of types.split(" ")) stream.addEventListener(type, soon);
  addEventListener("pagehide", () => stream.close());
}

const main = document.querySelector("[data-events]");
if (main !== null) follow(main);

const summary = document.getElementById("error-summary");
if (summary !== null) summary.focus();

// The server does it once however often it is sent; the button only says that it was heard.
for (const button of document.querySelectorAll("button[data-once]")) {
  button.form.addEventListener("submit", () => setTimeout(() => { button.disabled = true; }, 0));
}
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-once]")) button.disabled = false;
});

// A QR is renewed before its minute is over.
const renewed = document.querySelector("[data-renew]");
if (renewed !== null) setInterval(() => refresh(location.href).catch(() => {}), Number(renewed.dataset.renew) * 1000);

// What a scanned QR holds stands behind #, which no server is sent: it is handed over in the form, and leaves the address.
const handed = document.querySelector("[data-from-address]");
if (handed !== null && location.hash.length > 1) {
  handed.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  handed.form.submit();
}
