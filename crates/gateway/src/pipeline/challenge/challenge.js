// Has a worker solve the puzzle of this page, hands the solution in, and asks for the page again.
"use strict";

const challenge = document.documentElement.dataset.challenge;
const say = (text) => { document.getElementById("state").textContent = text; };
const worker = new Worker("/_caponier/worker");

worker.onmessage = async (found) => {
  worker.terminate();
  try {
    const answer = await fetch("/_caponier/solved", {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ challenge, solution: found.data }),
    });
    if (answer.ok) {
      location.reload();
    } else {
      say("The puzzle has expired. Please load this page again.");
    }
  } catch {
    say("The connection was lost. Please load this page again.");
  }
};
worker.onerror = () => say("Your browser could not solve the puzzle. Please try another one.");
worker.postMessage(challenge);
