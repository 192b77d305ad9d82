/** From an ECharts option to an SVG document, without a browser. Invariant: the same option gives the same bytes, whatever was drawn before. */
import { CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { GraphicComponent, GridComponent, TitleComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { FONT_FAMILY, type Theme, WIDTH } from './theme.ts';

export interface Drawing {
  readonly height: number;
  readonly option: EChartsCoreOption;
  /** What it shows, in a line. */
  readonly title: string;
  /** Its figures, for those who do not see it. */
  readonly description: string;
}

export function drawSvg({ height, option, title, description }: Drawing, theme: Theme): string {
  use([CustomChart, LineChart, ScatterChart, GraphicComponent, GridComponent, TitleComponent, SVGRenderer]);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: FONT_FAMILY, color: theme.text },
      ...option,
    });
    return described(withoutInteraction(chart.renderToSVGString()), title, description);
  } finally {
    // It holds a timer, which would keep the process alive.
    chart.dispose();
  }
}

/** Classes for the mouse go. What remains of names has the number of the chart among all that this process has drawn, which goes too. */
function withoutInteraction(svg: string): string {
  return `${svg
    .replace(/<style[\s\S]*?<\/style>\s*/g, '')
    .replace(/ (?:class|ecmeta_[a-z_]+|pointer-events)="[^"]*"/g, '')
    .replace(/\bzr[0-9]+-/g, '')
    .trimEnd()}\n`;
}

function described(svg: string, title: string, description: string): string {
  const escaped = (text: string): string => text.replace(/[&<>]/g, (sign) => `&#${sign.codePointAt(0)};`);
  const words = `<title>${escaped(title)}</title>\n<desc>${escaped(description)}</desc>`;
  return svg.replace(/^<svg[^>]*>/, (tag) => `${tag.slice(0, -1)} role="img">\n${words}`);
}
