import { render } from "preact";
import { listen } from "./api/events";
import { findOut } from "./api/offers";
import { askOtherTabs, takeTokenFromAddress } from "./api/token";
import { App } from "./app";
import "./theme";
import "./style.css";

takeTokenFromAddress();
askOtherTabs();
const place = document.getElementById("page")!;
place.replaceChildren();
render(<App />, place);
void findOut();
void listen();
