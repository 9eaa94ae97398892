import { Empty, Title } from "../parts/small";

/** Views of rooms that this node does not have yet. */
export function Dht() {
  return (
    <div class="view">
      <Title name="DHT" />
      <section class="panel">
        <Empty title="This node has no distributed hash table.">Peers are found by bootstrap addresses and by what peers tell of one another: see Topology. When a node has a table of its own, its buckets and lookups are shown here.</Empty>
      </section>
    </div>
  );
}

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
