export declare function problemsOfGroups(): string[];
