import { area, Shape } from "./shapes";
import settings from "./settings.json";

enum Level {
  Quiet,
  Loud = 3,
}

class Report {
  #lines: string[] = [];
  static instances = 0;

  constructor(private readonly level: Level = Level.Quiet) {
    Report.instances++;
  }

  add(shape: Shape): this {
    this.#lines.push(`${shape.kind}: ${area(shape).toFixed(settings.digits ?? 2)}`);
    return this;
  }

  async *lines(): AsyncGenerator<string> {
    for (const line of this.#lines) yield this.level === Level.Loud ? line.toUpperCase() : line;
  }
}

const report = new Report(Level.Loud).add({ kind: "circle", radius: 2 }).add({ kind: "box", width: 2, height: 3 });
for await (const line of report.lines()) console.log(line);
