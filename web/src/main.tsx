import { render } from "preact";
import { listen } from "./api/events";
import { askOtherTabs, takeTokenFromAddress } from "./api/token";
import { App, findOut } from "./app";
import "./theme";
import "./style.css";

takeTokenFromAddress();
askOtherTabs();
const place = document.getElementById("page")!;
place.replaceChildren();
render(<App />, place);
void findOut();
listen();
