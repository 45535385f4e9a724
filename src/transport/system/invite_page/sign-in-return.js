// The page that an issuer sends the browser back to. It hands the code to the page that the person
// came from.
import { receive } from "./sign-in.js";
import { fill, text } from "./text.js";

const page = receive();
fill(document);
if (page) {
  location.replace(page);
} else {
  document.querySelector("h1").textContent = text("sign-in");
  const status = document.getElementById("status");
  status.textContent = text("sign-in-not-begun");
  status.classList.add("wrong");
}
