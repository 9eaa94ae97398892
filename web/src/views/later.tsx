import { Empty, Title } from "../parts/small";

/** A view of a room that this node does not have yet. */
export function Nat() {
  return (
    <div class="view">
      <Title name="NAT" />
      <section class="panel">
        <Empty title="This node does not open ways through NATs.">Whether others reach it, and where, is said in the Overview. When a node punches holes and uses relays, the ways and their outcomes are shown here.</Empty>
      </section>
    </div>
  );
}
