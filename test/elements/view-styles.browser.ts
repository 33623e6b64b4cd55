import type { CSSResult } from "lit";

/** Returns the selectors of a style sheet, also those within `@media`. */
export function selectorsOf({ styleSheet }: CSSResult): string[] {
  const selectors = (rules: CSSRuleList): string[] =>
    [...rules].flatMap((rule) =>
      rule instanceof CSSStyleRule
        ? rule.selectorText.split(/\s*,\s*/)
        : rule instanceof CSSMediaRule
          ? selectors(rule.cssRules)
          : [],
    );
  return styleSheet ? selectors(styleSheet.cssRules) : [];
}
