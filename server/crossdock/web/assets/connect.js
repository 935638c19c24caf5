// Adds a copy button to every text that is to be copied. Without it the text can be selected.
for (const text of document.querySelectorAll("pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    } catch {
      button.textContent = "Selected: copy it yourself";
    }
  });
  text.previousElementSibling?.append(button);
}
