// asynqmon shows no reason when an action fails. This shows the answer, and what else the server has to say about an action. A session
// that has ended leads to the login. Nothing is changed about the requests themselves.
(function () {
  "use strict";
  var box, timer;

  function show(text, bad) {
    if (!box) {
      box = document.createElement("div");
      box.id = "gupdispatch-notice";
      box.setAttribute("role", "alert");
      box.style.cssText = "position:fixed;left:50%;top:72px;transform:translateX(-50%);z-index:3000;max-width:min(46rem,90vw);padding:12px 16px;" +
        "border-radius:6px;color:#fff;font:14px/1.5 system-ui,sans-serif;box-shadow:0 4px 16px rgba(0,0,0,.3);cursor:pointer";
      box.title = "Click to close";
      box.addEventListener("click", hide);
      document.body.appendChild(box);
    }
    box.textContent = text;
    box.style.background = bad ? "#a3231d" : "#24313d";
    box.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(hide, bad ? 20000 : 10000);
  }

  function hide() { box.hidden = true; }

  var open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method) {
    var acts = !/^(get|head)$/i.test(method);
    this.addEventListener("load", function () {
      if (this.status === 401) {
        location.assign("/ui/login?next=" + encodeURIComponent(location.pathname + location.search));
        return;
      }
      if (!acts) return;
      var notice = this.getResponseHeader("X-Gupdispatch-Notice");
      if (this.status >= 400) show(this.responseText || "The server refused it (" + this.status + ").", true);
      else if (notice) show(decodeURIComponent(notice), false);
    });
    return open.apply(this, arguments);
  };
})();
