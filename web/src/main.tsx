import { render } from "preact";
import { listen } from "./api/events";
import { askOtherTabs, takeTokenFromAddress } from "./api/token";
import { App, findOut } from "./app";
import "./theme";
import "./style.css";

takeTokenFromAddress();
askOtherTabs();
render(<App />, document.getElementById("page")!);
void findOut();
listen();
