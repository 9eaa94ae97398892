import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

export interface Column<T> {
  name: string;
  numeric?: boolean;
  keep?: boolean;
  /** What the column is sorted by. */
  by: (row: T) => string | number | null;
  cell: (row: T) => ComponentChildren;
}

interface Props<T> {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  keyOf: (row: T, at: number) => string;
  chosen?: (row: T) => boolean;
  sort?: { column: string; down?: boolean };
  most?: number;
}

/** A table that sorts by any column; a reader hears by which. */
export function Table<T>(props: Props<T>) {
  const { columns, rows, most = 500 } = props;
  const [sort, setSort] = useState(props.sort ?? { column: columns[0]!.name });
  const [shown, setShown] = useState(most);
  const by = columns.find((column) => column.name === sort.column) ?? columns[0]!;
  const sign = sort.down ? -1 : 1;
  const sorted = [...rows].sort((x, y) => sign * compare(by.by(x), by.by(y)));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={props.caption}>
      <table>
        <caption class="hidden">{props.caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const here = column === by;
              return (
                <th
                  key={column.name}
                  scope="col"
                  class={column.numeric ? "num" : undefined}
                  aria-sort={here ? (sort.down ? "descending" : "ascending") : "none"}
                >
                  <button
                    type="button"
                    onClick={() => setSort({ column: column.name, down: here ? !sort.down : !!column.numeric })}
                  >
                    {!column.numeric && column.name}
                    <span class="way" aria-hidden="true">
                      {here ? (sort.down ? "↓" : "↑") : ""}
                    </span>
                    {column.numeric && column.name}
                  </button>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, shown).map((row, at) => (
            <tr key={props.keyOf(row, at)} class={props.chosen?.(row) ? "chosen" : undefined}>
              {columns.map((column) => (
                <td key={column.name} class={column.numeric ? "num" : column.keep ? "keep" : undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <p class="pad">
          <button type="button" class="button" onClick={() => setShown(shown + most)}>
            Show {Math.min(most, rows.length - shown)} of {rows.length - shown} more
          </button>
        </p>
      )}
    </div>
  );
}

function compare(x: string | number | null, y: string | number | null): number {
  if (x === y) return 0;
  if (x === null) return 1;
  if (y === null) return -1;
  return x < y ? -1 : 1;
}
