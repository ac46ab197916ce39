// Brings what has changed: fetches this page again and takes over the parts that are marked data-fresh. Without scripts the page is
// reloaded as a whole.
(function () {
  "use strict";
  if (!document.body.hasAttribute("data-live")) return;
  var every = 2500, timer;

  function busy(part) { // somebody is about to press or type something there
    return part.querySelector("details[open]") || part.contains(document.activeElement);
  }

  function take(text) {
    var fresh = new DOMParser().parseFromString(text, "text/html");
    document.querySelectorAll("[data-fresh]").forEach(function (part) {
      var now = fresh.getElementById(part.id);
      if (now && !busy(part) && now.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(now));
    });
  }

  function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    fetch(location.href, { credentials: "same-origin", redirect: "manual", headers: { "X-Gupdispatch-Fresh": "1" } }).then(function (answer) {
      if (answer.type === "opaqueredirect") location.reload(); // the session has ended
      return answer.ok ? answer.text().then(take) : null;
    }).catch(function () { /* it will be there again */ }).then(function () { timer = setTimeout(look, every); });
  }

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, every);
})();
