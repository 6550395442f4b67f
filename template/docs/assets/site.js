// The theme lets a wide table scroll; this lets the keyboard scroll it too.
document$.subscribe(() => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0
})
