(function () {
  "use strict";
  var make = function (tag, text) { var e = document.createElement(tag); if (text) e.textContent = text; return e; };

  // A stop of the tab key only where a region really scrolls.
  var regions = Array.prototype.slice.call(document.querySelectorAll(".scroll"));
  function stops() {
    regions.forEach(function (r) {
      if (r.scrollWidth > r.clientWidth + 1 || r.scrollHeight > r.clientHeight + 1) r.setAttribute("tabindex", "0");
      else r.removeAttribute("tabindex");
    });
  }

  // Tables whose rows sort by a click on a heading.
  function key(cell) {
    var text = cell.textContent.trim(), n = parseFloat(text.replace(/[,\u00a0%]/g, ""));
    return /^[-−<]?\s*[\d.]/.test(text) && !isNaN(n) ? n : text === "–" || text === "not measured" ? null : text.toLowerCase();
  }
  function compare(a, b) {
    if (a === b) return 0;
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a < b ? -1 : 1;
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells), body = table.tBodies[0];
    heads.forEach(function (head, index) {
      var button = make("button", head.textContent);
      button.type = "button";
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        Array.prototype.slice.call(body.rows).map(function (row, place) { return { row: row, key: key(row.cells[index]), place: place }; })
          .sort(function (a, b) {
            if (a.key === null || b.key === null) return a.key === b.key ? a.place - b.place : a.key === null ? 1 : -1;
            return (up ? 1 : -1) * compare(a.key, b.key) || a.place - b.place;
          })
          .forEach(function (item) { body.appendChild(item.row); });
      });
    });
  });

  // Samples that contain all words of a filter.
  var filtered = document.querySelector(".filtered");
  if (filtered) {
    var items = Array.prototype.slice.call(filtered.querySelectorAll(".gallery > li"));
    var bar = make("div"), label = make("label", "Show samples with"), input = make("input"), said = make("span");
    bar.className = "filter";
    input.type = "search";
    input.id = "sample-filter";
    input.placeholder = "person, expression or reason";
    label.htmlFor = input.id;
    said.setAttribute("role", "status");
    [label, input, said].forEach(function (e) { bar.appendChild(e); });
    filtered.insertBefore(bar, filtered.firstChild);
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
      items.forEach(function (item) {
        var text = item.textContent.toLowerCase(), hit = words.every(function (word) { return text.indexOf(word) >= 0; });
        item.hidden = !hit;
        if (hit) shown += 1;
      });
      said.textContent = words.length ? shown + " of " + items.length + " samples" : "";
    });
  }

  // Pictures enlarge in a dialog; Escape and the button close it.
  var dialog = document.createElement("dialog");
  if (dialog.showModal) {
    var picture = make("img"), words = make("p"), close = make("button", "Close");
    close.type = "button";
    close.addEventListener("click", function () { dialog.close(); });
    dialog.addEventListener("click", function (event) { if (event.target === dialog) dialog.close(); });
    dialog.setAttribute("aria-label", "Enlarged picture");
    [picture, words, close].forEach(function (e) { dialog.appendChild(e); });
    var grown = false;
    document.querySelectorAll("main img").forEach(function (img) {
      var button = make("button");
      button.type = "button";
      button.className = "zoom";
      button.setAttribute("aria-label", "Enlarge: " + img.alt);
      img.parentNode.insertBefore(button, img);
      button.appendChild(img);
      button.addEventListener("click", function () {
        if (!grown) { document.querySelector("main").appendChild(dialog); grown = true; }
        picture.src = img.src;
        picture.alt = img.alt;
        words.textContent = img.alt;
        dialog.showModal();
      });
    });
  }

  // Paper shows no closed tables, unless they were opened.
  stops();
  window.addEventListener("resize", stops);
  document.querySelectorAll("details").forEach(function (d) { d.addEventListener("toggle", stops); });
})();
